// What FormatJS finds at the global `Intl`, which a script's world does not have.
export const Intl = {};
