"""What leaders and other programs read: the exported tables and the workbook.

Reads the public schemas (`marts`, `playbooks`, `metrics`) of an open warehouse and writes files.
It decides what is shown and how it looks, never what a number is: that is dbt's.
"""
