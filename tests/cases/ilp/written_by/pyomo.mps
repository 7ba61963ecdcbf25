* Source:     Pyomo MPS Writer
* Format:     Free MPS
*
NAME plan
OBJSENSE
 MAX
ROWS
 N  o
 L  c_u_c1_
 G  r_l_c2_
 L  r_u_c2_
 E  c_e_c3_
 E  c_e_c4_
 L  c_u_c5_
 E  c_e_ONE_VAR_CONSTANT
COLUMNS
     x(1) o 3
     x(1) c_u_c1_ 1
     x(1) r_l_c2_ 1
     x(1) r_u_c2_ 1
     x(2) o 2
     x(2) c_u_c1_ 1
     x(2) c_u_c5_ 1
     x(3) c_u_c1_ 1
     x(3) c_e_c4_ -1
     x(3) c_u_c5_ -1
     b(a) o 5
     b(a) c_e_c3_ 1
     b(b_c) c_e_c3_ 1
     f o -1
     f r_l_c2_ -1
     f r_u_c2_ -1
     free c_e_c4_ 1
     ONE_VAR_CONSTANT o 10
     ONE_VAR_CONSTANT c_e_ONE_VAR_CONSTANT 1
RHS
     RHS c_u_c1_ 11
     RHS r_l_c2_ 1
     RHS r_u_c2_ 6
     RHS c_e_c3_ 1
     RHS c_e_c4_ -4
     RHS c_u_c5_ 3
     RHS c_e_ONE_VAR_CONSTANT 1
BOUNDS
 LI BOUND x(1) 0
 UI BOUND x(1) 9
 LI BOUND x(2) 0
 UI BOUND x(2) 9
 LI BOUND x(3) 0
 UI BOUND x(3) 9
 BV BOUND b(a)
 BV BOUND b(b_c)
 MI BOUND f
 UP BOUND f 7.5
 FR BOUND free
ENDATA
