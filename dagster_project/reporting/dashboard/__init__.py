"""The dashboard's pages: the published file in, HTML in the report's look out.

Belongs here: what a page shows. Does not belong here: marimo, servers and processes (`ui`), and
what a number is (the models and `queries`).
"""
