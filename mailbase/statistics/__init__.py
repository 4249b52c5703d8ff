"""What is learned from mail: lessons, and the model that follows from them. Pure."""
