// Makes the MongoDB of deploy/compose.yaml a replica set of one member, and creates its users.
// It may run any number of times. It runs in the network of the server, because a server without
// users accepts these commands on its loopback address only (the localhost exception).
const env = process.env;

if (!db.hello().setName) {
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] });
}
for (let i = 0; !db.hello().isWritablePrimary; i++) {
  if (i === 600) throw new Error("the replica set has no primary after 60 s");
  sleep(100);
}

const admin = db.getSiblingDB("admin");
try {
  admin.createUser({ user: "admin", pwd: env.MONGO_ADMIN_PASSWORD, roles: ["root"] });
} catch (e) {
  print("the user admin exists"); // otherwise the login fails
}
admin.auth("admin", env.MONGO_ADMIN_PASSWORD);

function createUser(database, user, pwd, roles) {
  if (database.getUser(user)) database.updateUser(user, { pwd, roles });
  else database.createUser({ user, pwd, roles });
}
// The reader: the view and nothing else.
createUser(db.getSiblingDB("catalog"), "catalog", env.MONGO_PASSWORD, [{ role: "readWrite", db: "catalog" }]);
// The exporter: statistics. It reads the oplog's size in the database local.
createUser(admin, "exporter", env.EXPORTER_PASSWORD, ["clusterMonitor", { role: "read", db: "local" }]);
print("the replica set has a primary and its users");
