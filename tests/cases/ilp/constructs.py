"""Models of one construct each, in LP and MPS, with their optima.

The rules behind them are in deploy/docs/guide/reading-models.md.
"""

from __future__ import annotations

from workers.bench.fuzz.ilp_reading.mps_texts import fixed


def lp(
    row: str = "c1: x + y <= 10",
    *,
    objective: str = "obj: x + 2 y",
    sense: str = "Maximize",
    after: str = "",
) -> str:
    """Maximise x + 2 y under one row: the optimum is 20 by default."""
    return f"{sense}\n {objective}\nSubject To\n {row}\n{after}End\n"


LP: dict[str, tuple[str, float]] = {
    # names
    "names that begin with section words": (
        lp(
            "c1: end_1 + max_2 <= 4\n max_2 - gen_3 <= 1\n gen_3 + bin(4) <= 2\n",
            objective="obj: end_1 + 2 max_2",
        ),
        4 + 3,
    ),
    "a line of one variable that begins with st": (
        lp("c1:\n st_3\n + st(4) <= 7", objective="obj: st_3"),
        7,
    ),
    "a variable called end in a row": (
        lp("c1: end + x <= 4", objective="obj: x + 3 end"),
        12,
    ),
    "a variable called max in a row": (
        lp("c1: x <= 1\n max + x <= 4", objective="obj: x + 3 max"),
        12,
    ),
    "variables that begin with infinity and free": (
        lp("c1: infinity_1 + free_x <= 6", objective="obj: free_x"),
        6,
    ),
    "semi-continuous as a section, semi_1 as a name": (
        lp(
            "c1: semi_1 + x <= 6",
            objective="obj: x - semi_1",
            after="Bounds\n x <= 5\nSemi-Continuous\n x\n",
        ),
        5,
    ),
    "labels called bounds and st": (lp("bounds: x + y <= 3\n st: x >= 1"), 5),
    "brackets": (lp("c1: x[1,2] + x[2,2] <= 3", objective="obj: x[1,2]"), 3),
    "brackets in Bounds and General": (
        lp(
            "c1: 2 x[1] <= 7",
            objective="obj: x[1]",
            after="Bounds\n x[1] <= 9\nGeneral\n x[1]\n",
        ),
        3,
    ),
    "brackets twice, and letters after them": (
        lp("c1: x[1][a]_t + y <= 3", objective="obj: x[1][a]_t"),
        3,
    ),
    "brackets of a name and of products": (
        lp("c1: [ x[1]^2 ] <= 9", objective="obj: x[1]"),
        3,
    ),
    "not ASCII": (lp("größe: länge + 長さ <= 3", objective="obj: 2 länge + 長さ"), 6),
    "names of every letter that CPLEX allows": (
        lp(
            "c!: x\"#$% + a&(),.;?@_`'{}~| <= 3",
            objective="obj: x\"#$% + 2 a&(),.;?@_`'{}~|",
        ),
        6,
    ),
    "a slash in a name": (lp("c1: x/y + z <= 3", objective="obj: x/y"), 3),
    "names like exponents": (
        lp("c1: e1 + 2 e + 3 E5x <= 6", objective="obj: e1 + 3 e + 4 E5x"),
        9,
    ),
    "names of 600 letters": (
        lp(f"c1: {'n' * 600} <= 3", objective=f"obj: {'n' * 600}"),
        3,
    ),
    # rows
    "a number first": (lp("c1: 7 >= x + y"), 14),
    "a number first, equal": (lp("c1: 7 = x + y"), 14),
    "between two numbers": (lp("c1: 2 <= x + y <= 8", sense="Minimize"), 2),
    "between two numbers, falling": (lp("c1: 8 >= x + y >= 2"), 16),
    "between an infinity and a number": (lp("c1: -inf <= x + y <= 8"), 16),
    "between two numbers with a constant": (lp("c1: 2 <= x + y + 1 <= 8"), 14),
    "a constant on the left": (lp("c1: x + y + 3 <= 10"), 14),
    "a constant alone on the left of terms": (lp("c1: 3 + x + y <= 10"), 14),
    "a sum on the right": (lp("c1: x + y <= 10 - 3"), 14),
    "terms on the right": (lp("c1: x + y <= 10 - y"), 10),
    "terms on both sides, constants too": (lp("c1: 2 x + y + 1 <= 11 + x - y"), 10),
    "a variable at most another": (lp("c1: y <= x\n c2: x <= 4"), 12),
    "products on the right": (
        lp("c1: x <= 9 + [ - x ^2 ] \n c2: y <= 0", objective="obj: x"),
        2.541381265149110,
    ),
    "== as a comparison": (lp("c1: x + y == 4"), 8),
    "=< and =>": (lp("c1: x + y =< 4\n c2: y => 1", sense="Minimize"), 2),
    "< and >": (lp("c1: x + y < 4\n c2: y > 1"), 8),
    "two signs": (lp("c1: x - - y <= 4"), 8),
    "a coefficient without a space": (lp("c1: 2x+4y<=8"), 4),
    "a product sign": (lp("c1: 2 * x + 4 * y <= 8"), 4),
    "a variable twice in a row": (lp("c1: x + y + y <= 4\n c2: x <= 1"), 4),
    "a variable twice in the objective": (lp(objective="obj: x + y + y"), 20),
    "wrapped over lines": (lp("c1: x\n + 2\n y\n <=\n 8"), 8),
    "rows without labels": ("max\n x + 2 y\nst\n x + y <= 5\n - x + y <= 1\nend\n", 8),
    "rows without labels, numbers first": (
        "max\n x + 2 y\nst\n 5 >= x + y\n 3 >= y\nend\n",
        8,
    ),
    "two rows of one name": (lp("c1: x <= 1\n c1: y <= 1"), 3),
    "a row without variables": (lp("c1: x + y <= 4\n c2: 0 <= 10"), 8),
    "lazy constraints": (lp(after="Lazy Constraints\n l: x + y <= 3\n"), 6),
    "user cuts": (lp(after="User Cuts\n l: x + y <= 3\n"), 6),
    "an indicator": (
        lp("c1: z = 1 -> y <= 3\n c2: x + y <= 10\n c3: z >= 1", after="Binary\n z\n"),
        13,
    ),
    # objective
    "a constant of the objective": (lp(objective="obj: x + 2 y + 5"), 25),
    "a constant first": (lp(objective="obj: 5 + x + 2 y"), 25),
    "no label": (lp(objective="x + 2 y"), 20),
    "no terms": ("Minimize\n obj:\nSubject To\n c1: x >= 1\nEnd\n", 0),
    "max with a colon": ("max: x + 2 y\nst\n x + y <= 3\nend\n", 6),
    "maximise in British letters": (lp(sense="MAXIMISE"), 20),
    # bounds
    "fixed before Binary": (
        lp("c1: x + y >= 1", sense="Minimize", after="Bounds\n x = 1\nBinary\n x y\n"),
        1,
    ),
    "fixed to 0 before Binary": (lp(after="Bounds\n y = 0\nBinary\n x y\n"), 1),
    "wider than [0, 1] before Binary": (
        lp(after="Bounds\n -1 <= x <= 5\n y <= 0\nBinary\n x\n"),
        1,
    ),
    "narrower than [0, 1] before Binary": (
        lp(after="Bounds\n y <= 0.5\nBinary\n x y\n"),
        1,
    ),
    "free before Binary": (lp(after="Bounds\n x free\n y <= 0\nBinary\n x\n"), 1),
    "Binary before Bounds": (lp(after="Binary\n x\nBounds\n x <= 3\n y <= 0\n"), 3),
    "the last bound": (lp(after="Bounds\n y <= 3\n y <= 4\n"), 14),
    "an upper bound below 0 with a lower one": (
        lp("c1: x >= -8", objective="obj: x", after="Bounds\n x <= -2\n x >= -5\n"),
        -2,
    ),
    "a lower bound of -inf": (
        lp("c1: x >= -8", objective="obj: - x", after="Bounds\n -inf <= x <= 2\n"),
        8,
    ),
    "free in capitals": (
        lp("c1: x >= -8", objective="obj: - x", after="Bounds\n x FREE\n"),
        8,
    ),
    "bounds turned": (lp(after="Bounds\n 3 >= y >= 1\n"), 13),
    "a bound of 1e30": (lp(after="Bounds\n y <= 1e30\n"), 20),
    "General then Bounds": (
        lp("c1: 2 y <= 7", objective="obj: y", after="General\n y\nBounds\n y <= 9\n"),
        3,
    ),
    "a type on the section's line": (
        lp("c1: 2 y <= 7", objective="obj: y", after="General y\n"),
        3,
    ),
    # the text
    "Windows' line ends": (lp().replace("\n", "\r\n"), 20),
    "old line ends": (lp().replace("\n", "\r"), 20),
    "tabs": (lp().replace(" ", "\t"), 20),
    "a byte order mark": ("\ufeff" + lp(), 20),
    "a line of 20,000 terms": (
        lp(f"c1: {' + '.join(f'x{i}' for i in range(20_000))} <= 4", objective="obj: x0"),
        4,
    ),
    "comments": ("\\* a model *\\\n" + lp("c1: x + y <= 10 \\ >= 3"), 20),
    "capitals": (lp().upper(), 20),
}


def mps(
    *,
    head: str = "",
    columns: str = " x obj 1 r1 1\n y obj 2 r1 1\n",
    rows: str = "",
    rhs: str = " RHS r1 10\n",
    later: str = "",
) -> str:
    """Minimise x + 2 y with x + y ≥ 10: the optimum is 10 by default."""
    return f"NAME t\n{head}ROWS\n N obj\n G r1\n{rows}COLUMNS\n{columns}RHS\n{rhs}{later}ENDATA\n"


def bounds(lines: str, **parts: str) -> str:
    return mps(later=f"BOUNDS\n{lines}", **parts)


MAXIMISE = {
    "columns": " x obj 1 cap 1\n y obj 2 cap 1\n",
    "rows": " L cap\n",
    "rhs": " RHS cap 10\n",
}


INTEGER = " M 'MARKER' 'INTORG'\n x obj 1 r1 4\n M 'MARKER' 'INTEND'\n y obj 9 r1 4\n"


MPS: dict[str, tuple[str, float]] = {
    # sense
    "OBJSENSE and MAX on two lines": (mps(head="OBJSENSE\n    MAX\n", **MAXIMISE), 20),
    "OBJSENSE and MAXIMIZE on two lines": (
        mps(head="OBJSENSE\n    MAXIMIZE\n", **MAXIMISE),
        20,
    ),
    "OBJSENSE MAX on one line": (mps(head="OBJSENSE MAX\n", **MAXIMISE), 20),
    "OBJSENSE MAXIMIZE on one line": (mps(head="OBJSENSE MAXIMIZE\n", **MAXIMISE), 20),
    "OBJSENSE maximize in small letters": (
        mps(head="OBJSENSE\n  maximize\n", **MAXIMISE),
        20,
    ),
    "OBJSENSE MINIMIZE on one line": (mps(head="OBJSENSE MINIMIZE\n"), 10),
    "OBJSENSE before NAME": ("OBJSENSE\n    MAX\n" + mps(**MAXIMISE), 20),
    "a comment that says Maximize": ("*SENSE:Maximize\n" + mps(), 10),
    # rows and objective
    "a second N row": (
        mps(rows=" N other\n", columns=" x obj 1 r1 1\n x other 5\n y obj 2 r1 1\n"),
        10,
    ),
    "a right-hand side of a second N row": (
        mps(rows=" N other\n", rhs=" RHS r1 10 other 5\n"),
        10,
    ),
    "OBJNAME": (
        mps(
            head="OBJNAME\n    other\n",
            rows=" N other\n",
            columns=" x obj 1 r1 1\n x other 5\n y obj 2 r1 1\n y other 7\n",
        ),
        50,
    ),
    "the objective's right-hand side": (mps(rhs=" RHS r1 10 obj -7\n"), 17),
    "a positive right-hand side of the objective": (mps(rhs=" RHS r1 10 obj 7\n"), 3),
    "no objective": ("ROWS\n G r1\nCOLUMNS\n x r1 1\nRHS\n RHS r1 2\nENDATA\n", 0),
    "lazy rows": (
        mps(later="")
        .replace("COLUMNS", "LAZYCONS\n G l\nCOLUMNS")
        .replace(" x obj 1 r1 1", " x obj 1 l 0.5"),
        20,
    ),
    # right-hand sides and ranges
    "right-hand sides without a set": (mps(rhs=" r1 10\n"), 10),
    "a range of a G row": (mps(later="RANGES\n RNG r1 5\n", head="OBJSENSE\n MAX\n"), 30),
    "a range of an L row": (
        mps(
            rows=" L u\n",
            columns=" x obj 1 u 1\n",
            rhs=" RHS u 9\n",
            later="RANGES\n RNG u 2\n",
        ),
        7,
    ),
    "a positive range of an E row": (
        mps(
            rows=" E e\n",
            columns=" x obj 1 e 1\n",
            rhs=" RHS e 9\n",
            later="RANGES\n RNG e 2\n",
        ),
        9,
    ),
    "a negative range of an E row": (
        mps(
            rows=" E e\n",
            columns=" x obj 1 e 1\n",
            rhs=" RHS e 9\n",
            later="RANGES\n RNG e -2\n",
        ),
        7,
    ),
    "a negative range of a G row": (
        mps(later="RANGES\n RNG r1 -5\n", head="OBJSENSE\n MAX\n"),
        30,
    ),
    "ranges without a set": (mps(later="RANGES\n r1 5\n", head="OBJSENSE\n MAX\n"), 30),
    "RANGES before RHS": (
        mps(head="OBJSENSE\n MAX\n").replace("RHS\n", "RANGES\n RNG r1 5\nRHS\n", 1),
        30,
    ),
    "BOUNDS before RHS": (mps().replace("RHS\n", "BOUNDS\n UP BND x 4\nRHS\n", 1), 16),
    "no RHS section": (mps(rhs="").replace("RHS\n", ""), 0),
    # bounds
    "UP": (bounds(" UP BND x 4\n"), 16),
    "LO": (bounds(" LO BND y 4\n"), 14),
    "FX": (bounds(" FX BND y 4\n"), 14),
    "FR": (bounds(" FR BND x\n UP BND y 30\n"), 10),
    "MI and a negative UP": (
        bounds(
            " MI BND y\n UP BND y -3\n",
            columns=" x obj 1 r1 1\n y obj 2 r1 1\n y l 1\n",
            rows=" G l\n",
            rhs=" RHS r1 -3 l -8\n",
        ),
        -11,
    ),
    "a negative UP without LO": (
        bounds(
            " UP BND y -3\n",
            columns=" x obj 1 r1 1\n y obj 2 l 1\n",
            rows=" G l\n",
            rhs=" RHS r1 10 l -8\n",
        ),
        10 - 16,
    ),
    "a negative UI without LO": (
        bounds(
            " UI BND y -3\n",
            columns=" x obj 1 r1 1\n y obj 2 l 2\n",
            rows=" G l\n",
            rhs=" RHS r1 10 l -15\n",
        ),
        10 - 14,
    ),
    "an UP of 0 keeps the lower bound": (bounds(" UP BND x 0\n"), 20),
    "a negative UP before its LO": (
        bounds(" UP BND y -3\n LO BND y -5\n", columns=" x obj 1 r1 1\n y obj 2\n"),
        0,
    ),
    "BV": (bounds(" BV BND x\n"), 1 + 18),
    "BV with a number": (bounds(" BV BND x 1\n"), 1 + 18),
    "LI": (bounds(" LI BND x 3\n", columns=" x obj 1 r1 4\n y obj 9 r1 4\n"), 3),
    "UI": (bounds(" UI BND x 2\n", columns=" x obj 1 r1 4\n y obj 9 r1 4\n"), 2 + 4.5),
    "PL": (bounds(" PL BND x\n"), 10),
    "SC": (
        bounds(
            " SC BND x 8\n LO BND x 6\n", columns=" x obj 1 r1 1\n", rhs=" RHS r1 2\n"
        ),
        6,
    ),
    "SC with an infinite bound": (
        bounds(
            " LO BND x 6\n SC BND x 1e30\n", columns=" x obj 1 r1 1\n", rhs=" RHS r1 2\n"
        ),
        6,
    ),
    "bounds without a set": (bounds(" UP x 4\n"), 16),
    "MI without a set": (bounds(" MI x\n", rhs=" RHS r1 -4\n"), -4),
    "an infinite UP": (bounds(" UP BND x 1e30\n"), 10),
    "an UP of Inf": (bounds(" UP BND x Inf\n"), 10),
    # integers
    "markers without bounds are binaries": (mps(columns=INTEGER), 1 + 9 * 1.5),
    "markers with LO": (bounds(" LO BND x 0\n", columns=INTEGER), 3),
    "markers with PL": (bounds(" PL BND x\n", columns=INTEGER), 3),
    "markers with UP": (bounds(" UP BND x 2\n", columns=INTEGER), 2 + 9 * 0.5),
    "markers with FR": (bounds(" FR BND x\n", columns=INTEGER), 3),
    "a marker that is not closed": (
        mps(columns=" y obj 9 r1 4\n M 'MARKER' 'INTORG'\n x obj 1 r1 4\n"),
        1 + 9 * 1.5,
    ),
    # the text
    "$ comments": (
        mps(columns=" x obj 1 r1 1 $ the first\n y obj 2 $ then\n y r1 1\n").replace(
            " G r1\n", " G r1 $ a row\n"
        ),
        10,
    ),
    "* comments and blank lines": (mps().replace("RHS\n", "* here\n\nRHS\n", 1), 10),
    "Windows' line ends": (mps().replace("\n", "\r\n"), 10),
    "tabs": (mps().replace(" ", "\t"), 10),
    "a byte order mark": ("\ufeff" + mps(), 10),
    "no NAME": (mps().replace("NAME t\n", ""), 10),
    "not ASCII": (mps().replace("r1", "größe").replace(" x ", " 長さ "), 10),
    "Fortran's exponents": (mps(rhs=" RHS r1 1D1\n"), 10),
    "sections in small letters": (
        mps()
        .replace("ROWS", "rows")
        .replace("COLUMNS", "columns")
        .replace("RHS\n", "rhs\n", 1),
        10,
    ),
    "text after ENDATA": (mps() + "anything\n", 10),
    "names with spaces in fixed columns": (
        "NAME          t\nROWS\n N  obj\n G  r1\nCOLUMNS\n"
        + fixed("", "my x", "obj", "1.0", "r1", "1.0")
        + fixed("", "my y", "obj", "2.0", "r1", "1.0")
        + f"RHS\n{fixed('', 'RHS', 'r1', '10.0')}"
        + f"BOUNDS\n{fixed('UP', 'BND', 'my x', '4.0')}ENDATA\n",
        16,
    ),
    "a SOS set": (
        mps(
            columns=" x obj 1 r1 1\n y obj 2 r1 2\n z obj 3 r1 9\n",
            rhs=" RHS r1 10\n",
            later="BOUNDS\n UP BND x 9\n UP BND y 4\n UP BND z 1\nSOS\n S2 s\n x 1\n y 2\n z 3\n",
        ),
        4.0,
    ),
    "a quadratic objective": (
        mps(rhs=" RHS r1 2\n", later="QUADOBJ\n x x 2\n y y 2\n"),
        4.875,
    ),
    "an indicator": (
        mps(
            rows=" L i\n",
            columns=" x obj 1 r1 1\n y obj 2 r1 1\n y i -1\n b obj -9 r1 0\n",
            rhs=" RHS r1 10 i -7\n",
            later="BOUNDS\n BV BND b\nINDICATORS\n IF i b 1\n",
        ),
        17 - 9,
    ),
}
