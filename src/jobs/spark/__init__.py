"""What executors run, and what is asked of Spark: `load_tasks` copy parts in, and `extract_tasks` copy them out.

`scheduling` runs parts as jobs, `lineage` tells whether Spark computed one anew, and `workers` what Python there has.
`row_forms` and `row_hash` make the hashes that a verified load compares.
"""
