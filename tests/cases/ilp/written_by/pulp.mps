OBJSENSE
 MAX
NAME          a_plan
ROWS
 N  OBJ
 L  end_sum
 L  _C1
 G  _C2
 E  one
COLUMNS
    MARK      'MARKER'                 'INTORG'
    end_0     end_sum    1.000000000000e+00
    end_0     _C1        1.000000000000e+00
    end_0     OBJ        3.000000000000e+00
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    end_1     end_sum    1.000000000000e+00
    end_1     _C2       -1.000000000000e+00
    end_1     OBJ        2.000000000000e+00
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    end_2     end_sum    1.000000000000e+00
    MARK      'MARKER'                 'INTEND'
    max_load  _C1       -1.000000000000e+00
    max_load  _C2        1.000000000000e+00
    max_load  OBJ       -1.000000000000e+00
    MARK      'MARKER'                 'INTORG'
    on_(1,_'a')  one        1.000000000000e+00
    on_(1,_'a')  OBJ        5.000000000000e+00
    MARK      'MARKER'                 'INTEND'
    MARK      'MARKER'                 'INTORG'
    on_(2,_'b')  _C2       -1.000000000000e+00
    on_(2,_'b')  one        1.000000000000e+00
    on_(2,_'b')  OBJ       -1.000000000000e+00
    MARK      'MARKER'                 'INTEND'
RHS
    RHS       end_sum    1.100000000000e+01
    RHS       _C1        2.000000000000e+00
    RHS       _C2       -4.000000000000e+00
    RHS       one        1.000000000000e+00
BOUNDS
 UP BND       end_0      9.000000000000e+00
 UP BND       end_1      9.000000000000e+00
 UP BND       end_2      9.000000000000e+00
 MI BND       max_load
 UP BND       max_load   7.500000000000e+00
 BV BND       on_(1,_'a')
 BV BND       on_(2,_'b')
ENDATA
