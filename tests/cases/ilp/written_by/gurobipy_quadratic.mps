NAME qp
ROWS
 N  OBJ
 G  R0      
 L  q       
COLUMNS
    u[0]      OBJ       -4
    u[0]      R0        1
    u[1]      R0        1
RHS
    RHS1      R0        1
    RHS1      q         9
BOUNDS
 UP BND1      u[0]      4
 UP BND1      u[1]      4
QUADOBJ
    u[0]      u[0]      2
    u[0]      u[1]      2
    u[1]      u[1]      6
QCMATRIX   q       
    u[0]      u[0]      1
    u[1]      u[1]      1
ENDATA
