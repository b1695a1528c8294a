import static org.codelibs.opensearch.runner.OpenSearchRunner.newConfigs;

import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** Runs one OpenSearch node on loopback: java Engine FOLDER PORT. */
public class Engine {
  public static void main(String[] args) throws Exception {
    OpenSearchRunner node = new OpenSearchRunner();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        node.close();
      } catch (Exception e) {
        e.printStackTrace();
      }
    }));
    node.onBuild((number, settings) -> settings
        .put("http.port", args[1])
        .put("transport.port", "0")
        .put("http.cors.enabled", false)
        .put("discovery.type", "single-node")
        .putList("discovery.seed_hosts")
        .put("cluster.routing.allocation.disk.threshold_enabled", false));
    node.build(newConfigs().clusterName("catalog").numOfNode(1).basePath(args[0]).useLogger());
    new CountDownLatch(1).await(); // runs until SIGTERM
  }
}
