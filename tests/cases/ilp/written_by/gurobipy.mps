NAME plan
OBJSENSE MAX
ROWS
 N  OBJ
 L  end_sum 
 L  R1      
 G  R2      
 E  one     
 E  between 
 G  R5      
 L  ind     
COLUMNS
    MARKER    'MARKER'                 'INTORG'
    x[0]      OBJ       3
    x[0]      end_sum   1
    x[0]      R1        1
    x[0]      between   1
    x[0]      ind       1
    x[1]      OBJ       2
    x[1]      end_sum   1
    x[1]      R2        -1
    x[2]      end_sum   1
    x[2]      between   -1
    on[1,a]   OBJ       5
    on[1,a]   one       1
    on[2,b]   one       1
    MARKER    'MARKER'                 'INTEND'
    f         OBJ       -1
    f         R1        -1
    f         R2        1
    semi      OBJ       -1
    semi      R5        1
    Rgbetween  between   1
RHS
    RHS1      OBJ       -10
    RHS1      end_sum   11
    RHS1      R1        2
    RHS1      R2        -4
    RHS1      one       1
    RHS1      between   4
    RHS1      R5        1
    RHS1      ind       6
BOUNDS
 UP BND1      x[0]      9
 UP BND1      x[1]      9
 UP BND1      x[2]      9
 BV BND1      on[1,a] 
 BV BND1      on[2,b] 
 MI BND1      f       
 UP BND1      f         7.5
 LO BND1      semi      2
 SC BND1      semi      5
 UP BND1      Rgbetween  7
SOS
 S1 s0
    x[1]         1
    x[2]         2
INDICATORS
 IF ind       on[1,a]   1
ENDATA
