export { pick, pickOp, picks } from "../ir/pick.js";
