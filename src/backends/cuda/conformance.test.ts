import { conformance } from "../../../test/conformance/suite.js";
import { cuda } from "./index.js";

conformance(cuda);
