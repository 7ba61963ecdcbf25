NAME assign
ROWS
 N cost
 E r0
 E c0
 E r1
 E c1
 E r2
 E c2
 E r3
 E c3
COLUMNS
 M1 'MARKER' 'INTORG'
 x00 cost 1 r0 1
 x00 c0 1
 x01 cost 4 r0 1
 x01 c1 1
 x02 cost 7 r0 1
 x02 c2 1
 x03 cost 10 r0 1
 x03 c3 1
 x10 cost 8 r1 1
 x10 c0 1
 x11 cost 5 r1 1
 x11 c1 1
 x12 cost 2 r1 1
 x12 c2 1
 x13 cost 10 r1 1
 x13 c3 1
 x20 cost 4 r2 1
 x20 c0 1
 x21 cost 6 r2 1
 x21 c1 1
 x22 cost 8 r2 1
 x22 c2 1
 x23 cost 10 r2 1
 x23 c3 1
 x30 cost 11 r3 1
 x30 c0 1
 x31 cost 7 r3 1
 x31 c1 1
 x32 cost 3 r3 1
 x32 c2 1
 x33 cost 10 r3 1
 x33 c3 1
 M2 'MARKER' 'INTEND'
RHS
 RHS r0 1 c0 1
 RHS r1 1 c1 1
 RHS r2 1 c2 1
 RHS r3 1 c3 1
ENDATA
