* every corner of free MPS that is read, in one file
NAME	weird model
OBJSENSE
    MAXIMISE

ROWS
 N  cost
 N  dropped
 L  le
 G  ge
 E  eq
 E  eq_up
 E  eq_down
 L  le_range
 G  ge_range
 L  free_row
COLUMNS
 a cost 1 le 2 $ the rest is a comment
 a ge	-0.10000000000000000001	eq 1d0
* between the lines of one column
 a dropped 99
 MARKER                 'MARKER'                 'INTORG'
 i_binary cost -2.5E-1 le +3
 i_lower le_range .5 ge_range 5.
 i_upper cost 0
 i_free le 1
 MARKER                 'MARKER'                 'INTEND'
 c_neg ge -1 eq_up 1D+2
 c_free eq_down 123456789012345.67890
 c_fixed le_range -0
 c_bv le 1
 c_li le 1 cost -0.0

RHS
 RHS cost 7.5 le 10
 RHS ge -3 eq 1e-3
 RHS dropped 4
 RHS eq_up 5 eq_down 5
 RHS le_range 8 ge_range 8
 RHS free_row 1e30
RANGES
 RNG eq_up 2 eq_down -2
 RNG le_range -3 ge_range -3
BOUNDS
 LO BND i_lower -2
 UP BND i_upper 9
 FR BND i_free
 MI BND c_neg
 UP BND c_neg -1.5
 FR c_free
 FX BND c_fixed -0
 BV BND c_bv
 LI BND c_li 2
 PL BND a
ENDATA
what comes after ENDATA is not read
