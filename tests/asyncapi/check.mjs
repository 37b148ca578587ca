// Holds a document against the official parser of AsyncAPI: `make test-asyncapi`. Exits with 1 if it is not valid.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const { code, path, message } of diagnostics) console.log(`${code} at ${path.join(".") || "the root"}: ${message}`);
console.log(document ? `valid AsyncAPI ${document.version()}` : "not valid");
process.exit(document ? 0 : 1);
