"""The command `pgjobs`: `config` reads the flags' defaults, `options` parses flags, and `commands` executes them."""
