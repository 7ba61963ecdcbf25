* Free form: every type of bound, ranges of every sign, a second N row, no names of sets
NAME free form with (some) words
OBJSENSE
    MAX
ROWS
 N profit
 L c1
 G c2
 E c3
 E c4
 N spare
 L loose
COLUMNS
 x1 profit 1 c1 1
 x1 c2 1e0 spare 3
 M1 'MARKER' 'INTORG'
 b1 profit 2.50 c1 -3
 i1 profit -1 c2 2
 i1 loose 1
 i2 c3 1 c4 1
 M2 'MARKER' 'INTEND'
 x2 c3 -.5 c4 1E-2
 x3 profit +4 c1 0.1
 x4 c1 1D1
 x5 c2 1
 x6 c1 -1 c2 -1
RHS
 RHS c1 20 c2 -4
 RHS profit -7.25
 RHS c3 1.5 c4 2
RANGES
 RNG c1 30.5 c2 9
 RNG c3 -4 c4 2.5
BOUNDS
 UP BND x1 12
 LO BND i1 -3
 UP BND i1 9
 MI BND i2
 UP BND i2 4
 FR BND x2
 BV BND x3
 FX BND x4 0.125
 LI BND x5 2
 UI BND x6 8
ENDATA
