import { conformance } from "../../../test/conformance/suite.js";
import { c } from "./index.js";

conformance(c);
