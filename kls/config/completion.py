"""What a shell offers at the Tab key behind kls: commands, their options, and settings as Hydra completes them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence

from kls.config.own_configs import CONFIG_DIR
from kls.errors import UserError
from kls.records.escape import shortened

QUERY = "--complete"  # followed by the line up to the cursor; asked by the scripts below

_OF_KLS = ("--completion", "--help", "--version")
_OF_HYDRA = ("train", "sweep", "gradcheck")
_SCRIPTS = {
    "bash": """_kls() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\\n'
    local word="${line##* }"
    COMPREPLY=($(kls --complete "$line" 2>/dev/null))
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} != *[=./] ]] && compopt +o nospace
    [[ $word == *=* && $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
}
complete -o nospace -o default -F _kls kls""",
    "zsh": """_kls() {
    local -a found
    found=(${(f)"$(kls --complete "${(j: :)words[1,CURRENT]}" 2>/dev/null)"})
    (( $#found )) && compadd -Q -S '' -- $found || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _kls kls""",
    "fish": """function __kls_complete
    kls --complete (commandline -cp) 2>/dev/null
end
complete -c kls -a '(__kls_complete)'""",
}


def script(shell: str) -> str:
    """The script that a shell evaluates to complete kls. Raises UserError for a shell that is not known."""
    if shell not in _SCRIPTS:
        raise UserError(f"--completion {shortened(shell) or repr(shell)}: give one of {', '.join(_SCRIPTS)}")
    return _SCRIPTS[shell]


def candidates(line: str, commands: Sequence[str], entry: Callable[[str], Callable[[], None]]) -> list[str]:
    """The words that may stand where a line ends, such as those of "kls train model="; none of one not understood."""
    words = line.split(" ")
    command, word = (*words[1:2], "")[0], words[-1]
    if len(words) < 3:
        found: Sequence[str] = [*commands, *_OF_KLS]
    elif command not in commands:
        found = []
    elif word.startswith("-"):
        found = re.findall(r"(?<![\w-])--[a-z][a-z-]+", _printed(entry(command), ["--help"]))
    elif command in _OF_HYDRA:
        given = [f"{CONFIG_DIR}={folder}" for folder in re.findall(rf" {CONFIG_DIR}[= ]+(\S+) ", line)]
        settings = " ".join(w for w in words[2:] if "=" in w[1:] or w == word)
        os.environ["COMP_LINE"] = f"kls {settings}"  # where Hydra looks for it
        found = _printed(entry(command), ["-sc", "query=bash", *given[-1:]]).split()
    else:
        found = []
    return sorted({name for name in found if name.startswith(word)})


def _printed(main: Callable[[], None], arguments: Sequence[str]) -> str:
    """What an entry point prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        sys.argv = ["kls", *arguments]
        main()
    return out.getvalue()
