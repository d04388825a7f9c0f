"""Function pools as `concurrent.futures` executors.

`executor` has the classes, `work` what is pending, `mapping` their `map`, and `broken` the error of
one that cannot start its workers.
"""
