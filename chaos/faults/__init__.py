"""What breaks: `causes` has each fault by its name, as an action on a `scene`.

`neighbours` are other sessions that change the table meanwhile, and `roles` has the unusual settings of a role.
"""
