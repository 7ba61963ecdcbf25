NAME
OBJSENSE MAX
ROWS
 N  OBJ
 L  end_sum
 L  c2
 G  c3
 G  between
 E  one
COLUMNS
    MARKER    'MARKER'                 'INTORG'
    x[1]      end_sum   1
    x[1]      c2        1
    x[1]      between   1
    x[1]      OBJ       3
    x[2]      end_sum   1
    x[2]      c3        -1
    x[2]      OBJ       2
    x[3]      end_sum   1
    x[3]      between   -1
    on        one       1
    on        OBJ       5
    off       one       1
    MARKER    'MARKER'                 'INTEND'
    f         c2        -1
    f         c3        1
    f         OBJ       -1
RHS
    rhs       OBJ       -10
    rhs       end_sum   11
    rhs       c2        2
    rhs       c3        -4
    rhs       between   -3
    rhs       one       1
RANGES
    rhs       between   7
BOUNDS
 LO bounds    x[1]      0
 UP bounds    x[1]      9
 LO bounds    x[2]      0
 UP bounds    x[2]      9
 LO bounds    x[3]      0
 UP bounds    x[3]      9
 BV bounds    on
 FX bounds    off       1
 MI bounds    f
 UP bounds    f         7.5
ENDATA
