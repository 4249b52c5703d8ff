"""Looks up what links lead to, on DNS lists."""
