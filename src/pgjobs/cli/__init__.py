"""The command `pgjobs`: `config` reads the flags' defaults, `options` the flags, and `commands` does what they say."""
