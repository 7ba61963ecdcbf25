"""Measured figures of the service, as tables."""

from __future__ import annotations

from workers.bench.tables.page import Headline, Page, Table
from workers.bench.tables.results import Row, Source, rows_of, source

FILE = "2026-11-23-service"
KEEPING_FILES = ("2026-11-30-service-keeping", "2026-12-01-service-submits")
VISIT_FILE = "2026-12-01-service-first-visit"
BY_HAND_FILES = ("2026-11-23-service-by-hand", "2026-11-28-service-by-hand")
_BESIDE = (
    "Other work ran beside it at times (load 1 to 3). Measured before one sandbox for all "
    "processes "
    "that read untrusted input (2026-11-29)."
)


def page() -> Page:
    """Return the page."""
    figures = _figures()
    return Page(
        title="Measured: the service",
        intro="A real server process, real HTTP, kills and pauses; embedded default (SQLite, "
        "process pool) "
        "unless the row says PostgreSQL or Ray.",
        tables=(
            _latency_table(figures),
            _keeping_table(),
            _first_visit_table(),
            _chaos_table(figures),
            _by_hand_table(),
        ),
        headline=_headline(figures),
    )


def _figures() -> dict[str, Row]:
    """Return the figures of the latest line of each suite."""
    return {
        row["suite"].removeprefix("service/"): row["figures"] for row in rows_of(FILE)
    }


def _latency_table(figures: dict[str, Row]) -> Table:
    running, event = figures["submit-to-running"], figures["event-latency"]
    probe, ilp = figures["stop-cancel"], figures["stop-cancel-ilp"]
    sqlite, postgres = figures["submit-sqlite"], figures["submit-postgres"]
    overhead = figures["overhead"]
    rows = [
        [
            f"submit → RUNNING, idle, {running['jobs']} jobs (`submit-to-running`)",
            "p50 ≤ 100 ms, p99 ≤ 500 ms",
            f"p50 {running['p50_ms']:.1f} ms, p99 {running['p99_ms']:.0f} ms",
        ],
        [
            "8 clients, durable submits, SQLite (`submit-sqlite`)",
            "≥ 500/s, p99 ≤ 50 ms",
            f"{sqlite['submits_per_s']:.0f}/s, p99 {sqlite['p99_ms']:.1f} ms",
        ],
        [
            "the same on PostgreSQL 15 (`submit-postgres`)",
            "≥ 300/s",
            f"{postgres['submits_per_s']:.0f}/s, p99 {postgres['p99_ms']:.0f} ms",
        ],
        [
            f"event, solver → SDK iterator, {event['events']} events (`event-latency`)",
            "p95 ≤ 250 ms",
            f"p50 {event['p50_ms']:.1f} ms, p95 {event['p95_ms']:.0f} ms",
        ],
        [
            f"stop, best kept, {probe['stop']['count']} jobs (`stop-cancel`)",
            "p99 ≤ 2.5 s",
            f"p99 {probe['stop']['p99_ms']:.0f} ms",
        ],
        [
            f"cancel, {probe['cancel']['count']} jobs; orphan processes",
            "p99 ≤ 250 ms; 0",
            f"p99 {probe['cancel']['p99_ms']:.0f} ms; {len(probe['orphans'])}",
        ],
        [
            f"stop and cancel of fast0507 in mid-search, {ilp['stop']['count']} each "
            "(`stop-cancel-ilp`)",
            "the same",
            f"stop p50 {ilp['stop']['p50_ms']:.0f} ms, max {ilp['stop']['max_ms']:.0f} ms, "
            f"{ilp['stop']['kept_best']} kept their best; cancel max "
            f"{ilp['cancel']['max_ms']:.0f} ms; "
            f"{len(ilp['orphans'])} orphans",
        ],
        [
            f"added to a {overhead['budget_s']:.0f} s job (`overhead`)",
            "≤ 2 %",
            f"{overhead['wall_overhead']:.1%} of wall time, "
            f"{overhead['gateway_cpu_share_of_two_cores']:.1%} of two cores".replace(
                "%", " %"
            ),
        ],
        [
            "gateway's resident memory under load",
            "≤ 150 MB",
            f"{sqlite['gateway_rss_mb']:.0f} MB (PostgreSQL {postgres['gateway_rss_mb']:.0f} MB)",
        ],
    ]
    return Table(
        title="Latency and load",
        columns=("measurement", "goal", "measured"),
        rows=rows,
        notes=("Where the file has several lines of a suite, the last one is shown.",),
        command="python -m workers.bench service submit-to-running submit-sqlite "
        "submit-postgres \\\n"
        "  event-latency stop-cancel stop-cancel-ilp overhead",
        source=source(FILE, remark=_BESIDE),
    )


def _chaos_table(figures: dict[str, Row]) -> Table:
    gateway, workers = figures["kill-gateway"], figures["kill-workers"]
    database = figures["restart-postgres"]
    rows = [
        [
            f"{gateway['submits']:,} submits under {gateway['kills']} kill -9 of the gateway "
            "(`kill-gateway`)",
            "0 lost, 0 double",
            f"{gateway['lost']}, {gateway['duplicates']} ({gateway['replayed']} replays)",
        ],
        [
            f"{database['submits']:,} submits, {database['restarts']} PostgreSQL crashes "
            "(`restart-postgres`)",
            "503 + Retry-After, never 500",
            f"{database['statuses'].get('503', 0)} × 503, "
            f"{database['statuses'].get('500', 0)} × 500, "
            f"{database['lost']} lost, {database['duplicates']} double",
        ],
        [
            f"{workers['jobs']:,} jobs, {workers['kills']} worker kills, {workers['pauses']} "
            "pauses longer "
            "than the lease (`kill-workers`)",
            "one effect each, stale writes refused",
            f"{workers['effects_per_job']} effect each, {workers['lost']} lost, "
            f"{workers['attempts']:,} attempts, {workers['stale_writes_refused']} stale "
            "writes refused "
            f"({workers['seconds'] / 60:.0f} min)",
        ],
    ]
    return Table(
        title="Kills, pauses and crashes",
        intro="The counts are read back from the API or the database, not from the load generator.",
        columns=("measurement", "goal", "measured"),
        rows=rows,
        command="python -m workers.bench service chaos",
        source=source(FILE, remark=_BESIDE),
    )


def _keeping_table() -> Table:
    """Return lists and retention: what grows with the number of stored jobs."""
    lines = {
        row["suite"].removeprefix("service/"): row for row in rows_of(*KEEPING_FILES)
    }
    rows = []
    for name, database in (("sqlite", "SQLite"), ("postgres", "PostgreSQL 15")):
        if (line := lines.get(f"list-{name}")) is not None:
            figures = line["figures"]
            times = figures["ms"]["tenant"]
            rows.append(
                [
                    f"pages of {figures['jobs']:,} jobs, {len(times)} queries, {database} "
                    f"(`list-{name}`)",
                    "≤ 200 ms",
                    f"newest {times['newest']:.0f} ms, slowest {figures['slowest_ms']:.0f} ms",
                    _load(line),
                ]
            )
        if (line := lines.get(f"retention-{name}")) is not None:
            figures = line["figures"]
            events, jobs = figures["events_rule"], figures["jobs_rule"]
            quiet = figures["submit_without_retention"]
            rows.append(
                [
                    f"submits while {figures['events']:,} events and {figures['jobs']:,} jobs are "
                    f"removed, {database} (`retention-{name}`)",
                    "p99 ≤ 50 ms",
                    f"p99 {events['submit']['p99_ms']:.0f} and {jobs['submit']['p99_ms']:.0f} ms "
                    f"({quiet['p99_ms']:.0f} ms without); {events['seconds']:.0f} and "
                    f"{jobs['seconds']:.0f} s",
                    _load(line),
                ]
            )
        if (line := lines.get(f"submit-{name}")) is not None:
            figures = line["figures"]
            rows.append(
                [
                    f"8 clients, durable submits with audit entries, {database} "
                    f"(`submit-{name}`)",
                    "≥ 500/s, p99 ≤ 50 ms" if name == "sqlite" else "≥ 300/s",
                    f"{figures['submits_per_s']:.0f}/s, p99 {figures['p99_ms']:.0f} ms, "
                    f"{figures['gateway_cpu_ms_per_submit']:.1f} ms of processor each",
                    _load(line),
                ]
            )
    return Table(
        title="Lists, retention and audit",
        columns=("measurement", "goal", "measured", "load of the machine"),
        rows=rows,
        command="python -m workers.bench service list-sqlite list-postgres retention \\\n"
        "  submit-sqlite submit-postgres",
        notes=(
            "Where the load is high a request waits for a core: compare submits with and without "
            "retention. The commit that measured 697 submits/s on 2026-11-23 got 356/s, for 1.65 "
            "ms of processor each, on 2026-12-01 at load 10; the one before ADR 64 got 313/s, for "
            "2.03 ms, and the one with it 460/s, for 1.23 ms. The machine of the day explains the "
            "rest.",
            "The first file has two lines of `list-postgres`, and the last one is shown; the "
            "first, at nice -5 beside two clusters of Ray, had 313 ms.",
        ),
        source=source(
            *KEEPING_FILES,
            remark="Lists, and retention on PostgreSQL, beside other work on both cores, at nice "
            "-10 or -12.",
        ),
    )


def _first_visit_table() -> Table:
    """Return a newcomer's steps and seconds by the pages."""
    (line,) = (
        row for row in rows_of(VISIT_FILE) if row["suite"] == "service/first-visit"
    )
    return Table(
        title="A first visit",
        intro="From the page of examples to the first result of each kind, in a fresh server. "
        "Goals: one press (two for a plan, which waits for approval), pages of at most 200 kB.",
        columns=("kind", "presses", "first solution", "result", "its page"),
        rows=[
            [
                f"`{row['kind']}`",
                str(row["presses"]),
                f"{row['first_solution_s']:.1f} s",
                f"{row['result_s']:.1f} s",
                f"{row['page_bytes'] / 1000:.0f} kB, {row['page_requests']} requests",
            ]
            for row in line["figures"]["kinds"]
        ],
        notes=(
            "A plan's first solution is its outline; its result is the report over the jobs.",
        ),
        command="python -m workers.bench service first-visit",
        source=source(VISIT_FILE, remark="Nothing ran beside it."),
    )


def _load(line: Row) -> str:
    machine = line["machine"]
    return f"{machine['load_at_start']:.0f} to {machine['load_at_end']:.0f}"


def _by_hand_table() -> Table:
    rows = rows_of(*BY_HAND_FILES)
    commands = list(dict.fromkeys(row["command"] for row in rows))
    described = source(*BY_HAND_FILES)
    return Table(
        title="Transcribed from the output of other commands",
        intro="The commands below write no result file; the lines in results/ are transcripts of "
        "their output.",
        columns=("measurement", "goal", "measured", "date"),
        rows=[
            [r["measured_by"], r["goal"], r["measured"], r["machine"]["date"]]
            for r in rows
        ],
        command="\n".join(commands),
        source=Source(
            files=described.files,
            machine=described.machine,
            seeds="seeds as the commands have them",
        ),
    )


def _headline(figures: dict[str, Row]) -> Headline:
    workers, running = figures["kill-workers"], figures["submit-to-running"]
    return Headline(
        against="kill -9 of workers, and pauses longer than the lease",
        better=f"{workers['jobs']:,} jobs under {workers['kills']} kills and "
        f"{workers['pauses']} pauses: one "
        f"effect each, {workers['lost']} lost; submit to running {running['p50_ms']:.1f} ms "
        "(median)",
    )
