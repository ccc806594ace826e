"""From options to a started run.

`entry` is the job's entrypoint, `extras` are files beside the archive, and `payload` reads all files to send.
`spark_conf` and `configuration` determine Spark's settings, and `request` builds the StartJobRun request, in one of the
`run_modes`. `secrets` refuses passwords in it, `api_model` what AWS would refuse, `arguments` what the job itself would
refuse, and `application` an archive that was not built for the application. Then `upload` puts the payload into S3, and
`start` starts the run: once, however often the same submission is repeated. `aws_cli` prints a submission as a script.
"""
