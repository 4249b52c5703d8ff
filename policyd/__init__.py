"""The policy daemon: answers Postfix's check_policy_service."""
