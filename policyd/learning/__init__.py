"""What the gateway learns from mail: lessons in the store, and the model that is trained from them."""
