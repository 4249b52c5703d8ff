"""What a decision rests on: where a mail comes from, what checks ask and establish, and what that weighs."""
