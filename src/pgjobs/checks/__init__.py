"""What can be said of a packed archive afterwards.

`verification` compares it with its manifest, `sbom` lists what is in it, `audit` asks whether that is known to be
vulnerable, and `image` tries it in the image of EMR Serverless.
"""
