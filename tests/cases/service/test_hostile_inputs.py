"""Inputs that can name a file or open a socket, at each level of the sandbox, against canaries.

The canaries are the server's admin key, the upload of another tenant, and listening sockets. No
run of a tenant with scope `submitter` may bring the first two into anything that the tenant can
download, or reach a socket.
"""

from __future__ import annotations

import io
import json
import socket
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from solvers import privileges
from solvers.llvm.install import find_llvm
from solvers.llvm.types import LlvmMissing
from tests.cases.service.http_client import Service
from workers.bench.service.harness import running_server
from workers.process import sandbox

CANARY = "canary-of-another-tenant-8c1f"
LEVELS = ["rlimit", *(["bwrap"] if sandbox.bwrap_works()[0] else [])]
pytestmark = pytest.mark.skipif(
    privileges.landlock_abi() < 1, reason="this kernel has no Landlock"
)


def _llvm() -> Any:
    try:
        return find_llvm()
    except LlvmMissing as missing:
        pytest.skip(str(missing))


def ir(path: str) -> str:
    return f"""target triple = "x86_64-unknown-linux-gnu"
module asm ".globl kk"
module asm "kk: .incbin \\22{path}\\22"
@kk = external global i8
declare i32 @puts(ptr)
define i32 @main() {{
  %r = call i32 @puts(ptr @kk)
  ret i32 0
}}
"""


def bitcode(path: str, folder: Path) -> bytes:
    source, target = folder / "module.ll", folder / "module.bc"
    source.write_text(ir(path))
    subprocess.run([_llvm().tool("llvm-as"), source, "-o", target], check=True)
    return target.read_bytes()


def assembly_in_c(path: str) -> str:
    return (
        f'__asm__(".section .rodata\\n.globl kk\\nkk: .incbin \\"{path}\\"\\n.byte 0\\n.text");\n'
        "extern const char kk[];\n#include <stdio.h>\nint main(void) { puts(kk); return 0; }\n"
    )


def includes(path: str) -> str:
    return (
        f'#include <stdio.h>\nconst char k[] = {{\n#embed "{path}"\n, 0}};\n'
        "int main(void) { puts(k); return 0; }\n"
    )


def reads_when_run(path: str) -> str:
    return (
        "#include <stdio.h>\nint main(void) { char b[200] = {0}; "
        f'FILE *f = fopen("{path}", "r"); if (f) fread(b, 1, 199, f); puts(b); return 0; }}\n'
    )


def tar_with_link(path: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("secret.h")
        link.type, link.linkname = tarfile.SYMTYPE, path
        archive.addfile(link)
        source = (
            b'#include <stdio.h>\n#include "secret.h"\nint main(void) { return 0; }\n'
        )
        member = tarfile.TarInfo("main.c")
        member.size = len(source)
        archive.addfile(member, io.BytesIO(source))
    return buffer.getvalue()


def zip_with_source(path: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/main.c", assembly_in_c(path))
        archive.writestr("../outside.h", "x")
    return buffer.getvalue()


def talks(tcp_port: int, udp_port: int, unix_path: str) -> str:
    """A program that sends to every canary socket."""
    return f'''#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(void) {{
  int reached = 0;
  struct sockaddr_in in = {{.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
  in.sin_port = htons({tcp_port});
  int s = socket(AF_INET, SOCK_STREAM, 0);
  reached += s >= 0 && connect(s, (struct sockaddr *)&in, sizeof in) == 0;
  in.sin_port = htons({udp_port});
  s = socket(AF_INET, SOCK_DGRAM, 0);
  reached += s >= 0 && sendto(s, "canary", 6, 0, (struct sockaddr *)&in, sizeof in) == 6;
  struct sockaddr_un un = {{.sun_family = AF_UNIX}};
  strcpy(un.sun_path, "{unix_path}");
  s = socket(AF_UNIX, SOCK_STREAM, 0);
  reached += s >= 0 && connect(s, (struct sockaddr *)&un, sizeof un) == 0;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0)
    reached += sendto(pair[0], "canary", 6, 0, (struct sockaddr *)&un, sizeof un) == 6;
  printf("reached %d\\n", reached);
  return reached;
}}
'''


@pytest.fixture(scope="module", params=LEVELS)
def admin(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp(f"service-{request.param}") / "data"
    with running_server(folder, sandbox=request.param, contained="true") as server:
        yield Service(server)


@pytest.fixture(scope="module")
def low(admin: Service) -> Service:
    return admin.other(tenant="other")


@pytest.fixture(scope="module")
def canaries(admin: Service) -> dict[str, str]:
    """Path → content."""
    digest = admin.upload(CANARY.encode(), "secret.bin")["digest"].removeprefix("sha256:")
    (blob,) = [
        path
        for path in (admin.data / "blobs").rglob("*")
        if path.is_file() and digest[-20:] in str(path)
    ]
    return {str(admin.data / "admin.key"): admin.key, str(blob): CANARY}


def everything(service: Service, job: dict[str, Any]) -> bytes:
    """Return everything that the owner of a job can download."""
    parts = [json.dumps(job).encode()]
    urls = [
        f"/v1/jobs/{job['id']}/{part}"
        for part in ("result", "events", "attempts", "input")
    ]
    parts += [repr(service.ask("GET", url)[1]).encode() for url in urls]
    result = service.ask("GET", f"/v1/jobs/{job['id']}/result")[1]
    for name in result.get("artifacts", {}):
        content = service.ask("GET", f"/v1/jobs/{job['id']}/artifacts/{name}")[1]
        parts.append(
            content if isinstance(content, bytes) else json.dumps(content).encode()
        )
    return b"\n".join(parts)


def _specs_naming(path: str, low: Service, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Return compile specs that name `path` in every way an input can."""
    other_ir = low.upload(ir(path).replace("@main", "@other").encode(), "o.ll")
    other_c = low.upload(assembly_in_c(path).replace("main", "other").encode(), "o.c")
    return {
        "ir text": {"source_text": ir(path), "language": "llvm-ir"},
        "bitcode": {"source": low.upload(bitcode(path, tmp_path), "module.bc")},
        "assembly in C": {"source_text": assembly_in_c(path), "language": "c"},
        "embed in C": {
            "source_text": includes(path),
            "language": "c",
            "build": {"flags": ["-std=c2x"]},
        },
        "program": {"source_text": reads_when_run(path), "language": "c"},
        "tar with a link": {"source": low.upload(tar_with_link(path), "p.tar.gz")},
        "zip": {"source": low.upload(zip_with_source(path), "p.zip")},
        "linked IR": {
            "source_text": "extern int other(void); int main(void) { return 0; }",
            "language": "c",
            "link": {"objects": [other_ir]},
        },
        "linked C": {
            "source_text": "int main(void) { return 0; }",
            "language": "c",
            "link": {"objects": [other_c]},
        },
    }


def test_no_input_brings_a_file_of_the_server(
    low: Service, canaries: dict[str, str], tmp_path: Path
) -> None:
    _llvm()
    budget = {"seconds": 15, "evaluations": 1}
    jobs = []
    for path in canaries:
        specs = _specs_naming(path, low, tmp_path)
        if jobs:
            # The first canary in every way, the second in the two ways that once worked.
            specs = {name: specs[name] for name in ("ir text", "bitcode")}
        jobs += [
            (name, low.submit("compile", spec, budget=budget))
            for name, spec in specs.items()
        ]
        if len(specs) == 2:
            continue
        solution = low.upload(f"=obj= 1\nx 1\n# {path}\n".encode(), "start.sol")
        model = {
            "model_text": "Minimize\n x\nSubject To\n c: x >= 1\nEnd\n",
            "format": "lp",
        }
        jobs.append(
            (
                "ilp",
                low.submit(
                    "ilp", {**model, "warm_start": solution}, budget={"seconds": 5}
                ),
            )
        )
        table = low.upload(f"name,rows,dim\n=IMPORT({path}),100,8\n".encode(), "t.csv")
        devices = [{"count": 2, "memory_gib": 1.0}]
        jobs.append(
            (
                "sharding",
                low.submit(
                    "sharding",
                    {"tables_file": table, "devices": devices},
                    budget={"seconds": 2},
                ),
            )
        )
    succeeded = set()
    for name, job in jobs:
        view = low.ended(job)
        owned = everything(low, view)
        for content in canaries.values():
            assert content.encode() not in owned, (name, view["termination"])
        if view["state"] == "SUCCEEDED":
            succeeded.add(name)
    assert {
        "program",
        "ilp",
        "sharding",
    } <= succeeded  # harmless jobs are not affected


def test_no_program_reaches_a_socket(admin: Service, low: Service) -> None:
    _llvm()
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        udp.bind(("127.0.0.1", 0))
        path = str(admin.data / "s")
        unix.bind(path)
        unix.listen()
        source = talks(tcp.getsockname()[1], udp.getsockname()[1], path)
        spec = {"source_text": source, "language": "c", "runs": [{"expected_exit": 0}]}
        job = low.run("compile", spec, budget={"seconds": 15, "evaluations": 1})
        # It ended with 0: nothing was reached.
        assert job["state"] == "SUCCEEDED", job["termination"]
        for listener in (tcp, unix):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()


def test_the_pool_says_what_it_protects(admin: Service) -> None:
    status, pool = admin.ask("GET", "/v1/workers")
    assert status == 200
    assert pool["executor"]["protects"] == {"files": True, "network": True}
    assert pool["executor"]["sandbox_gaps"] == pool["refusal"] == ""
