"""`concurrent.futures` executors over pools of Python functions.

`executor` has the classes, `work` their futures and pending work, `mapping` their `map`, and
`broken` the errors that derive from `BrokenProcessPool`.
"""
