// Names below `localhost` are this machine, as browsers have it (RFC 6761); the resolver of a machine may not know them.
import dns from "node:dns";

const lookup = dns.lookup;
dns.lookup = (name, options, callback) => {
  const known = name === "localhost" || name.endsWith(".localhost") ? "127.0.0.1" : name;
  return lookup(known, options, callback);
};
