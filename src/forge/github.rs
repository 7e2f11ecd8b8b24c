//! GitHub by octocrab, read into small wire types of our own.
