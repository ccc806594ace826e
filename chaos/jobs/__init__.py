"""The jobs that are struck: what each gets, as a user would give it.

`tables` creates and fills the table before the job. A `request` tells the driver what to run: a command line
(`arguments`, for a release with its `manifest`), or Spark's own calls. `select` is the query of a load's rows. `place`
is where the job works, and `names` are those of its tables and its load.
"""
