"""Runs spread over Ray: worker pools and job submission come here, the only package that imports ray.

Empty so far.
"""
