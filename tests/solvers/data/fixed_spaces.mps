* Fixed columns: names with spaces, blank names of sets, both pairs on a line
NAME          SPACED OUT
ROWS
 N  MY COST
 L  ROW ONE
 G  ROW TWO
 E  R3
COLUMNS
    COL A     MY COST   1.5            ROW ONE   2.
    COL A     ROW TWO   -1.25E+01
    MARKER    'MARKER'                 'INTORG'
    COL B     MY COST   -2             ROW ONE   1
    COL B     R3        1              ROW TWO   .5
    COL C     ROW ONE   3              R3        1
    MARKER    'MARKER'                 'INTEND'
RHS
    RHS 1     ROW ONE   14             ROW TWO   -60
    RHS 1     R3        4              MY COST   -10
RANGES
    RNG       ROW ONE   6.5            R3        -2
BOUNDS
 UP BND 1     COL A     7.5
 LO BND 1     COL B     1
 UP BND 1     COL B     6
ENDATA
