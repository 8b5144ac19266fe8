"""What `airside.sdk.limits` is made of.

exceptions   what can go wrong
server       limits that processes share, at the server
keeper       renews this process' leases
local        limits of this process alone, where there is no server
"""
