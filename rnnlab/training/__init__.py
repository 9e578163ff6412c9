"""What rnnlab does: train and evaluate, told as events; nothing here prints."""
