"""The kinds of databases, one module each; `ENGINE` names it. Modules that start with `_` are parts of one."""
