"""From options to a started run.

`payload` reads what is to be sent, and `request` builds the StartJobRun request. `secrets`, `api_model`, `arguments`
and `application` refuse passwords in it, what AWS would refuse, what the job itself would, and an application that the
archive was not made for. Then `upload` puts the payload into S3, and `start` starts the run: once, however often the
same submission is repeated.
"""
