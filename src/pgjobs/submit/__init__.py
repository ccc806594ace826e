"""From options to a started run.

`payload` reads the files to send, and `request` builds the StartJobRun request. `secrets` refuses passwords in it,
`api_model` what AWS would refuse, `arguments` what the job itself would refuse, and `application` an archive that was
not built for the application. Then `upload` puts the payload into S3, and `start` starts the run: once, however often
the same submission is repeated.
"""
