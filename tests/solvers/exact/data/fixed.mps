NAME          fixed, with blanks in names and without names of sets
ROWS
 N  total
 L  row one
 G  2
COLUMNS
    x one     total              1.0   row one            2.0
    x one     2                  1.5
    a b c     row one           -1.0   2               -0.125
RHS
              row one            5.0   2                 -1e1
BOUNDS
 UP           x one              4.0
 MI           a b c
ENDATA
