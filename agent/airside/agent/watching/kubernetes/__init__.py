"""What a Kubernetes cluster says of its objects: its Events, listed once and then followed.

mapping  one Event of the cluster becomes one of ours
stream   the open watch: lines as they come, in the background
watcher  lists, follows from where the list ended, lists anew when that is too long ago
"""
