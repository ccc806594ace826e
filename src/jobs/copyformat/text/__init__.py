"""Values as text: the forms that encoding and decoding share.

`copy_text` has NULL and the escapes of COPY. `timestamp_text` writes dates and timestamps, `iso_dates` reads them.
`json_text` writes structs and maps, and `utf8` finds strings that are no text. `parsed_text` tells as what the server
writes the text of a number or a date.
"""
