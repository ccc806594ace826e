"""Examines what a load needs, in the order in which a load meets it.

`examine` makes the findings (`finding`): what runs here (`runtime`), the way to the server (`way`), the server itself
(`database`), the table, the privileges and the plan of the load (`target`), and places in S3. Nothing is changed,
except that an object is written and deleted where that is asked for.
"""
