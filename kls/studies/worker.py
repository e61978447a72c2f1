"""A process that carries out commands for a runner of studies, one after the other: python -m kls.studies.worker.

It reads requests from stdin and answers on stdout, a line of JSON each. What a command prints goes to a log. The
libraries are loaded, and the pictures read, once for many steps. It ends at once when its runner is gone.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

END = "end"


def main() -> None:
    """Carry out requests {"module", "arguments", "log"} until {"end"}; each is answered by {"status", "message"}."""
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    with suppress(KeyboardInterrupt), os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        while not (request := requests.get()).get(END):
            print(json.dumps(_carry_out(**request)), file=answers, flush=True)


def _read(requests: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        requests.put(json.loads(line))
    os._exit(1)  # the runner has gone; what it had begun must not go on unseen


def _carry_out(module: str, arguments: list[str], log: str) -> dict[str, Any]:
    status, message = 0, None
    sys.argv = [module, *arguments]
    try:
        with Path(log).open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        importlib.import_module(module).main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        message = end.code if isinstance(end.code, str) else None
    except KeyboardInterrupt:
        status = 130
    except BaseException as error:
        traceback.print_exc()
        status, message = 1, f"{type(error).__name__}: {error}"
    with suppress(OSError):  # a full disk; the answer is not written to it
        if message:
            print(message)
        sys.stdout.flush()
        sys.stderr.flush()
    return {"status": status, "message": message}


if __name__ == "__main__":
    main()
