"""What the two tasks of label prediction share: folds, classifiers, scores of held-out predictions."""
