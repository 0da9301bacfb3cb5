"""The kinds of databases, one module each; `ENGINE` names the module. Modules that start with `_` are parts of others."""
