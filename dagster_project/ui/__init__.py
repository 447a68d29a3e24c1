"""What `csp ui` opens: the dashboard's app, its server, and the processes side by side.

Belongs here: marimo, serving, starting and stopping. Does not belong here: what a page shows
(`reporting.dashboard`) and what a replay computes (`defs.replay`).
"""
