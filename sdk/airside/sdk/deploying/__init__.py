"""Deployments from the user's side: a document made of a flow, sent to the plane, and runs started from anywhere."""
